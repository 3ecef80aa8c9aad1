"""Which images a step sees and how, in numbers alone."""
