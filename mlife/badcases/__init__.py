"""Badcase Analysis and Management (BAM): reports, badcases, causes, alarms, iterations."""
