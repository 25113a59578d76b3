"""Runs tasks as local processes with nothing but the standard library; its door is `client.Runner`.

Import-free on purpose: the supervisor is started without site packages and forked for every task.
"""
