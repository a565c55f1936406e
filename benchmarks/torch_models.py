"""VGG16 and MobileNetV2 in PyTorch with random weights, on which captum is timed."""

from torch import nn


def make_model(name: str) -> nn.Module:
    """Return a model with the layers and sizes of ``keras.applications``, a linear head and random weights."""
    return {"vgg16": _vgg16, "mobilenetv2": _mobilenetv2}[name]()


def _vgg16():
    layers, channels = [], 3
    for repeats, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    head = [nn.Flatten(), nn.Linear(25088, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 1000)]
    return nn.Sequential(*layers, *head)


class _InvertedResidual(nn.Module):
    def __init__(self, channels, width, stride, expansion):
        super().__init__()
        hidden = channels * expansion
        expand = _unit(channels, hidden, 1) if expansion > 1 else []
        self.parts = nn.Sequential(
            *expand,
            *_unit(hidden, hidden, 3, stride, groups=hidden),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )
        self.residual = stride == 1 and channels == width

    def forward(self, x):
        return x + self.parts(x) if self.residual else self.parts(x)


def _unit(channels, width, kernel, stride=1, groups=1):
    convolution = nn.Conv2d(channels, width, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(width), nn.ReLU6()]


def _mobilenetv2():
    layers, channels = _unit(3, 32, 3, 2), 32
    for expansion, width, repeats, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for number in range(repeats):
            layers.append(_InvertedResidual(channels, width, stride if number == 0 else 1, expansion))
            channels = width
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, *_unit(320, 1280, 1), *pool)
