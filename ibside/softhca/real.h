/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The real libibverbs, behind this library.
 */
#ifndef SOFT_REAL_H
#define SOFT_REAL_H

/* Function @name of the real libibverbs in symbol version @version; NULL if there is none. */
void *soft_real(const char *name, const char *version);

/* The same, looked up once per place, typed as the interposed function. */
#define REAL(name, version)                                                      \
	({                                                                       \
		static __typeof__(&name) real_fn_;                               \
		if (!real_fn_)                                                   \
			real_fn_ = (__typeof__(&name))soft_real(#name, version); \
		real_fn_;                                                        \
	})

#endif
