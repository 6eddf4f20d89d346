"""Boxes that crun or runc runs directly, without a container engine between."""
