# SPDX-License-Identifier: GPL-2.0
"""What the tests in a guest are made of; conftest.py hands it out as fixtures."""
