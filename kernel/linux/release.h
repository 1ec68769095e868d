/* What the system is called: programs look at the release to find out what there is, so it is that of the
 * Linux we compare with. */
#pragma once

#define RELEASE_SYSTEM  "Linux"
#define RELEASE_NODE    "ashlar"
#define RELEASE_NUMBER  "6.1.0-ashlar"
#define RELEASE_VERSION "Ashlar " ASHLAR_VERSION
