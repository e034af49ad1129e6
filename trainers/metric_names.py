"""The names of what an evaluation tells of a class, for who has not loaded what works it out."""

METRICS = (
    *("dice", "iou", "hd95_mm", "assd_mm", "nsd", "hd_mm"),
    *("sensitivity", "specificity", "accuracy"),
)
