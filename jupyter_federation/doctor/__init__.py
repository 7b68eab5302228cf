"""The doctor: why it does not work, in a sentence for the person and a line for the administrator.

It asks nobody anything and signs nobody in (`live` alone does, where that is asked for); it needs nothing of the
package's own ``__init__``, because a file of somebody else's may stand in its place, and that is the first thing that
it looks for.  (Python runs what stands in that place all the same, before anything of ours.)
"""
