import numpy as np

from trainers.data.turn import turn_patch


def patch():
    label = np.zeros((1, 9, 9, 9), np.uint8)
    label[0, 2:5, 4, 4] = 1
    return label.astype(np.float32).repeat(2, axis=0), label


def test_no_angle_and_no_zoom_change_nothing():
    image, label = patch()
    turned = image.copy(), label.copy()
    turn_patch(*turned, (0, 0, 0), (1, 1, 1))
    np.testing.assert_allclose(turned[0], image, atol=1e-6)
    np.testing.assert_array_equal(turned[1], label)


def test_a_right_angle_moves_image_and_label_alike():
    image, label = patch()
    turn_patch(image, label, (0, 0, 90), (1, 1, 1))
    there = set(map(tuple, np.argwhere(label[0])))
    assert there in ({(4, y, 4) for y in (2, 3, 4)}, {(4, y, 4) for y in (4, 5, 6)})
    np.testing.assert_allclose(image, label.astype(np.float32).repeat(2, axis=0), atol=1e-5)


def test_a_zoom_above_one_enlarges_around_the_centre():
    label = np.zeros((1, 9, 9, 9), np.uint8)
    label[0, 3:6, 3:6, 3:6] = 1
    image = label.astype(np.float32)
    turn_patch(image, label, np.zeros(3), np.array([2.0, 1.0, 1.0]))
    assert label.sum() > 27
    assert label[0, 4, 4, 4] == 1
    assert label[0].any(axis=(0, 2)).sum() == 3  # the other axes keep their extent
