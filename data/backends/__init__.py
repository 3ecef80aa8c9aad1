"""From bytes and numbers to tensors on the device."""
