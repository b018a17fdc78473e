"""The corruptions of CIFAR-10-C and ImageNet-C, made of any images."""
