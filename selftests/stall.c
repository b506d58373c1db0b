// SPDX-License-Identifier: GPL-2.0
/* Memory whose first touch stalls until somebody lets it go on, by userfaultfd. */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "stall.h"
#include "zcdma_util.h"

int stall_begin(void *memory, size_t size)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { zc_ptr(memory), size }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	CHILD_CHECK(fd >= 0);
	CHILD_CHECK(!ioctl(fd, UFFDIO_API, &api));
	CHILD_CHECK(!ioctl(fd, UFFDIO_REGISTER, &range));
	return fd;
}

bool stall_is_entered(int fd, unsigned int ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	return poll(&poller, 1, ms) == 1;
}
