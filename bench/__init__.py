# SPDX-License-Identifier: GPL-2.0
"""Figures, measured in one guest in virtual time; see README.md."""
