/* How the kernel's tree of files waits. */
#pragma once

#include <ashlar/fs.h>

/* See `wait` and `notify` of struct fs_config. A wait ends with -EINTR when its thread is killed. */
int event_wait(struct fs_event *event, struct mutex *held);
void event_notify(struct fs_event *event);
