"""Self-supervised representations of whole images and of the objects in them."""
