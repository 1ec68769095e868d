# Small mistakes in the shootdown, each of which the explorer must find: a name, the file, what is there, what is not.

# Fences: the generation and the set, each as a store that others see late.
mistake(sender_without_fence shootdown.c "atomic_fetch_add(&table->generation, 1) + 1"
        "explore_add_unlocked(&table->generation, 1) + 1")
mistake(loading_without_fence shootdown.c "cpu_set_add(&table->loaded, cpu_number());"
        "explore_or_unlocked(table->loaded.words, cpu_set_bit(cpu_number()));")

# The set.
mistake(not_in_the_set shootdown.c "cpu_set_add(&table->loaded, cpu_number());" "")
mistake(in_the_set_too_late shootdown.c
        "    enter_set(table);\n    uint64_t generation = atomic_load(&table->generation);"
        "    uint64_t generation = atomic_load(&table->generation);\n    enter_set(table);")
mistake(out_of_the_set_too_early shootdown.c "struct page_table *before = cpu->loaded;"
        "struct page_table *before = cpu->loaded;\n    if (before) { leave_set(before); }")
mistake(online_too_late shootdown.c "    cpu_enter_online();\n    tlb_drop_everything();"
        "    tlb_drop_everything();\n    cpu_enter_online();")

# Waiting.
mistake(freed_too_early shootdown.c "    cpu_request_wait();\n" "")
mistake(answered_too_early cpu_request.c
        "            asking->function(asking->context);\n            cpu_set_remove(&asking->waiting, here);"
        "            cpu_set_remove(&asking->waiting, here);\n            asking->function(asking->context);")
mistake(not_interrupted cpu_request.c "        cpu_interrupt(cpu);" "")
mistake(served_by_nobody_who_waits cpu_request.c "    cpu_serve_requests();\n    cpu_relax();" "    cpu_relax();")

# Generations.
mistake(loaded_between_two_flushes shootdown.c " && kept->clean == generation" "")
mistake(missed_a_flush_before shootdown.c "count != 0 && number->clean + 1 == made" "count != 0")
mistake(interrupted_between_looking_and_loading shootdown.c "bool were_on = interrupts_disable();"
        "bool were_on = interrupts_enabled();")
mistake(generation_read_too_late shootdown.c
        "        uint64_t generation = atomic_load(&table->generation);\n        tlb_drop_loaded();"
        "        tlb_drop_loaded();\n        uint64_t generation = atomic_load(&table->generation);")
mistake(noted_for_other_tables shootdown.c "cpu->loaded != table || " "")
mistake(kernel_pages_under_other_numbers shootdown.c "    forget_numbers();" "")
