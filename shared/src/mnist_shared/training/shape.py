"""What the networks take and give: pictures of 28 x 28 pixels, answers for 10 classes."""

SIDE = 28  # pixels
NUM_CLASSES = 10
