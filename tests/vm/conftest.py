# SPDX-License-Identifier: BSD-3-Clause
"""Markers of the guest's tests."""


def pytest_configure(config):
    config.addinivalue_line("markers", "own_suite: run by a suite of its own, not by `lab`")
