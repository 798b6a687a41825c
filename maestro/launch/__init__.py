"""From a workflow file to running components: the file's models, the launch lines, the processes, the runner.

Nothing here draws or prints (that is cli/), and nothing here is needed by a component: programs that are started by hand find
the pool by themselves.
"""
