/* SPDX-License-Identifier: BSD-3-Clause */
/* fuzz_bytes.h - what the fuzz targets share: the input as a stream of numbers, and promises. */
#ifndef TESTS_FUZZ_BYTES_H
#define TESTS_FUZZ_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/** Ends the run with the text of a promise that was not kept. */
#define PROMISE(x)                                           \
	do {                                                 \
		if (!(x)) {                                  \
			fprintf(stderr, "broken: %s\n", #x); \
			abort();                             \
		}                                            \
	} while (0)

/** The rest of the input. */
struct bytes {
	const uint8_t *at; /* next byte */
	size_t left;	   /* bytes left */
};

/** The next n <= 4 bytes as a number; zeros after the end. */
static inline uint32_t bytes_take(struct bytes *b, unsigned int n)
{
	uint32_t v = 0;

	for (; n > 0; n--) {
		v = v << 8 | (b->left ? *b->at : 0);
		b->at += b->left != 0;
		b->left -= b->left != 0;
	}
	return v;
}

/** A signed offset: mostly near, at times far. */
static inline uint32_t bytes_near(struct bytes *b)
{
	uint32_t v = bytes_take(b, 2);

	if (v >= 0xff00)
		return bytes_take(b, 4);
	return v < 0x8000 ? (v & 0x3fff) : -(v & 0x3ff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
