// SPDX-License-Identifier: GPL-2.0

#include <linux/memcontrol.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

struct mem_cgroup *carp_helper_mem_cgroup_of_current(void)
{
	return get_mem_cgroup_from_mm(current->mm);
}

void carp_helper_mem_cgroup_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}

struct mem_cgroup *carp_helper_set_active_memcg(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}
