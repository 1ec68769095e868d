/* Parts of the monitor command vm. */
#pragma once

#include <ashlar/monitor.h>
#include <ashlar/vm_space.h>

/* vm PID: the regions of a process. */
void command_vm_process(struct monitor_call *call, uint32_t number);

/* vm PID ADDRESS: what lies there in the process. */
void command_vm_process_address(struct monitor_call *call, uint32_t number, uint64_t address);

/* What lies at an address in one space, in words or as an object of *json, unless that is NULL. */
void command_vm_look(struct vm_space *space, uint64_t address, struct json *json);

/* vm frame ADDRESS: which pages show the frame at a physical address. */
void command_vm_frame(struct monitor_call *call, uint64_t address);

/* What a region allows: "rw-" and the like, in `text`. */
const char *command_vm_access(const struct vm_region_facts *region, char text[4]);
