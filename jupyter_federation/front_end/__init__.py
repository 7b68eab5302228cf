"""The kernel's side of what a person sees beside the cells: the panel, and the channel to the JupyterLab extension."""
