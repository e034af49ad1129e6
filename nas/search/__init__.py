"""One search from its configuration to its front: what starts, what ends, what is shown."""
