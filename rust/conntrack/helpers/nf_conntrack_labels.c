// SPDX-License-Identifier: GPL-2.0

#include <net/netfilter/nf_conntrack_labels.h>

#include "helpers.h"

struct nf_conn_labels *carp_helper_nf_ct_labels_find(const struct nf_conn *ct)
{
	return nf_ct_labels_find(ct);
}

void carp_helper_nf_connlabels_replace(struct nf_conn *ct, const u32 *words, unsigned int count)
{
#ifdef CONFIG_NF_CONNTRACK_LABELS
	nf_connlabels_replace(ct, words, NULL, count);
#endif
}

void carp_helper_nf_ct_labels_ext_add(struct nf_conn *ct)
{
	nf_ct_labels_ext_add(ct);
}
