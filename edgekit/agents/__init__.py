"""Agents: edgekit's commands as tools of the Model Context Protocol, kept to one folder."""
