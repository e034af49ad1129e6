"""Random changes of training patches: what each preset does, and how it is done to a patch."""
