// SPDX-License-Identifier: GPL-2.0

#include <net/neighbour.h>

#include "helpers.h"

void carp_helper_neigh_release(struct neighbour *neigh)
{
	neigh_release(neigh);
}
