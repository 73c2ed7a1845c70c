"""Floor 3: policies as bundles for edge devices, verified on the runtimes that may run them."""
