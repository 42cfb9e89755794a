"""Networks, losses and linear algebra on plain tensors: axes by position, no names or units."""
