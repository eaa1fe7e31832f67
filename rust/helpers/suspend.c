// SPDX-License-Identifier: GPL-2.0

#include <linux/suspend.h>

#include "helpers.h"

/* Functions only where the kernel can sleep (CONFIG_PM_SLEEP). */

int carp_helper_pm_register(struct notifier_block *nb)
{
	return register_pm_notifier(nb);
}

int carp_helper_pm_unregister(struct notifier_block *nb)
{
	return unregister_pm_notifier(nb);
}
