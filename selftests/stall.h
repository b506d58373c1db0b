/* SPDX-License-Identifier: GPL-2.0 */
/* Memory whose first touch stalls until somebody lets it go on, by userfaultfd. */
#ifndef ZCDMA_SELFTESTS_STALL_H
#define ZCDMA_SELFTESTS_STALL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whole pages, never touched so far: who touches them waits. Return: a descriptor. When it is
 * closed all go on, and the memory is zeros.
 */
int stall_begin(void *memory, size_t size);

/* Wait until somebody is in such a page: false after @ms. */
bool stall_is_entered(int fd, unsigned int ms);

#endif /* ZCDMA_SELFTESTS_STALL_H */
