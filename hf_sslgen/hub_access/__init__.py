"""Access to the Hub: classify faults, retry temporary ones, and explain the others in one sentence."""
