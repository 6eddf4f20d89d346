#!/bin/bash
here=$(dirname "$0")
. "$here/lib/greet.sh"
greet "$1" "@VERSION@"
