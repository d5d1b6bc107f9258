"""Mistakes in what a launch says beyond grid and block: clusters, dynamic shared memory, streams."""

from __future__ import annotations

from sapwood.lang.errors import LaunchMistake


class BadCluster(LaunchMistake):
    code = "L010"
    message = "{where}: clusters of {found} blocks cannot be: {detail}"
    help = "a cluster has at most 8 blocks, and the grid is a multiple of it along each axis"


class SharedTooLargeToLaunch(LaunchMistake):
    code = "L011"
    message = (
        "'{name}' would have {bytes} bytes of shared memory, {static} that it declares and {dynamic} of the launch, "
        "but a block of target {target} has at most {limit}"
    )
    help = "use smaller tiles, or fewer stages of them"


class BadLaunchOption(LaunchMistake):
    code = "L012"
    message = "{where}: {what} must be {expected}, not {found}"
    help = "{hint}"


class ArraysApart(LaunchMistake):
    code = "L013"
    message = "{name}: arrays of two devices, {first} and {second}, in one launch"
    help = "copy them to one device: device.array(x)"


class BlockTooLargeForRegisters(LaunchMistake):
    code = "L014"
    message = (
        "'{name}' takes {registers} registers a thread on {device}, so a block of it has at most {limit} threads, not "
        "{found}"
    )
    help = "use smaller blocks, or keep fewer values at one time"


class NoSuchHardware(LaunchMistake):
    code = "L015"
    message = "'{name}' cannot be launched so on {device}: {detail}"
    help = "{hint}"
