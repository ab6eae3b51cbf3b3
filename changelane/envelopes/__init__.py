"""Formats that others read: a message of a queue becomes bytes, headers and a record key.

All of it is pure: no connection, no clock, no randomness, so each attempt makes the same bytes.
"""
