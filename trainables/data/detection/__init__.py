"""Pictures with boxes: annotations in the form of COCO, geometry of boxes, batches."""
