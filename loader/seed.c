/* The random seed: from the firmware, else from the CPU, else from time stamps; and the loader's own choices
 * from it. */
#include <ashlar/string.h>

#include "cpu.h"
#include "loader.h"

enum { RANDOM_RETRIES = 32 }; /* SDM volume 1, 7.3.17: RDRAND may fail for a moment; ten tries are ample */

static bool seed_from_firmware(struct loader *loader, uint8_t *out)
{
    EFI_GUID guid = EFI_RNG_PROTOCOL_GUID;
    EFI_RNG_PROTOCOL *rng = NULL;
    if (EFI_ERROR(loader->boot->LocateProtocol(&guid, NULL, (void **)&rng)) || !rng) {
        return false;
    }
    return !EFI_ERROR(rng->GetRNG(rng, NULL, BOOT_SEED_BYTES, out));
}

static bool rdseed(uint64_t *value)
{
    bool valid;
    __asm__ volatile("rdseed %0" : "=r"(*value), "=@ccc"(valid));
    return valid;
}

static bool rdrand(uint64_t *value)
{
    bool valid;
    __asm__ volatile("rdrand %0" : "=r"(*value), "=@ccc"(valid));
    return valid;
}

static bool seed_from_cpu(bool (*instruction)(uint64_t *), uint8_t *out)
{
    for (unsigned i = 0; i < BOOT_SEED_BYTES; i += sizeof(uint64_t)) {
        uint64_t value = 0;
        unsigned tries = 0;
        while (!instruction(&value)) {
            if (++tries == RANDOM_RETRIES) {
                return false;
            }
        }
        memcpy(out + i, &value, sizeof value);
    }
    return true;
}

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every output bit depends on every input bit. */
static uint64_t mix(uint64_t value)
{
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

/*
 * Time stamps of firmware calls whose duration varies, the wall clock and the map key. Better than nothing.
 */
static void seed_from_timestamps(struct loader *loader, uint8_t *out)
{
    EFI_TIME now;
    memset(&now, 0, sizeof now);
    uint64_t state = cpu_ticks() ^ (uintptr_t)loader->loaded_image->ImageBase;
    for (unsigned i = 0; i < BOOT_SEED_BYTES; i += sizeof(uint64_t)) {
        loader->system->RuntimeServices->GetTime(&now, NULL);
        state = mix(state + cpu_ticks() + now.Nanosecond + now.Second * 1000003ULL + 0x9e3779b97f4a7c15ULL);
        memcpy(out + i, &state, sizeof state);
    }
}

void seed_collect(struct loader *loader)
{
    struct boot_seed *seed = &loader->info->seed;
    if (seed_from_firmware(loader, seed->bytes)) {
        seed->source = BOOT_SEED_EFI_RNG;
    } else if (cpu_has_rdseed() && seed_from_cpu(rdseed, seed->bytes)) {
        seed->source = BOOT_SEED_RDSEED;
    } else if (cpu_has_rdrand() && seed_from_cpu(rdrand, seed->bytes)) {
        seed->source = BOOT_SEED_RDRAND;
    } else {
        seed_from_timestamps(loader, seed->bytes);
        seed->source = BOOT_SEED_TIMESTAMPS;
    }
    memcpy(&loader->seed_state, seed->bytes, sizeof loader->seed_state);
}

/* Cannot be inverted in practice: the kernel's seed must not follow from the address of its image. */
uint64_t seed_random(struct loader *loader, uint64_t bound)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(loader->seed_state); i++) {
        value = mix(value ^ loader->seed_state[i]);
    }
    loader->seed_state[0] += 0x9e3779b97f4a7c15ULL;
    return value % bound;
}
