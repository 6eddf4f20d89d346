"""Trials on the machines of a Ray cluster: boxes there, decisions, keys and record here.

    backend    on the head: a Backend and a Visitor that hand work to nodes                  backend
    seats      on the head: which node has room, and both sides of a pair on one node      seats
    nodes      on the head: nodes that join, leave, and fail                               nodes
    parcels    on both: scaffolds, tasks and images, sent once a node, named by content    parcels
    node       on a node: one process a node, with the node's own engine                   node
    link       on both: one SSH connection a node, by which its boxes reach the gateway    desk, link
    reaper     on a node: removes the boxes of a node process that was killed              reaper

Ray does membership, placement, resources and transport of files. Only `nodes` and `parcels` import it.
"""
