"""EfficientNet-Lite0, the small picture network of the default ``Image`` encoder."""

import re
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3  # of pixels in 0..1: the network was trained on (byte - 127) / 128
WIDTH, STRIDE = 1280, 32  # channels of the last feature map; input pixels to one of its cells

# (kernel, stride of the first block, expansion, channels out, blocks) of each stage
STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


class SameConv2d(nn.Conv2d):
    """Convolution without bias whose zero padding follows TensorFlow's ``SAME``: an odd pixel goes right and below.

    Shape: ``[B, in, h, w] -> [B, out, ceil(h / stride), ceil(w / stride)]``.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        even = kernel // 2 if stride == 1 else 0  # the padding that is the same on both sides
        super().__init__(inputs, outputs, kernel, stride, even, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The padded convolution."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride == 1:
            return super().forward(x)
        across, down = (max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in (x.shape[-1], x.shape[-2]))
        padded = F.pad(x, (across // 2, across - across // 2, down // 2, down - down // 2))
        return super().forward(padded)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation with the constants that the weights were trained with."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """Widens, filters each channel on its own, narrows; adds its input where the shapes agree.

    Shape: ``[B, inputs, h, w] -> [B, outputs, ceil(h / stride), ceil(w / stride)]``.
    Source: MobileNetV2 (Sandler et al. 2018, section 3.3); Lite has neither squeeze-and-excitation nor swish.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        if expansion > 1:
            self.expand_conv, self.bn0 = SameConv2d(inputs, inner, 1), batch_norm(inner)
        self.depthwise_conv, self.bn1 = SameConv2d(inner, inner, kernel, stride, groups=inner), batch_norm(inner)
        self.project_conv, self.bn2 = SameConv2d(inner, outputs, 1), batch_norm(outputs)
        self.widens, self.adds = expansion > 1, stride == 1 and inputs == outputs

    def fold(self) -> None:
        """Takes the batch normalisations into the convolutions before them; for eval mode, faster and equal."""
        widening = {"expand_conv": "bn0"} if self.widens else {}
        fold_all(self, {**widening, "depthwise_conv": "bn1", "project_conv": "bn2"})

    def forward(self, x: Tensor) -> Tensor:
        """One block."""
        inner = F.relu6(self.bn0(self.expand_conv(x)), inplace=True) if self.widens else x
        inner = F.relu6(self.bn1(self.depthwise_conv(inner)), inplace=True)
        inner = self.bn2(self.project_conv(inner))
        return x + inner if self.adds else inner


class EfficientNetLite0(nn.Module):
    """The feature extractor of EfficientNet-Lite0: everything before pooling and classifier.

    Shape: normalised pixels ``[B, 3, h, w] -> [B, 1280, ceil(h / 32), ceil(w / 32)]``.
    Source: EfficientNet (Tan & Le 2019), Lite variant of tensorflow/tpu ``models/official/efficientnet/lite``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = SameConv2d(3, 32, 3, stride=2), batch_norm(32)
        blocks, inputs = [], 32
        for kernel, first_stride, expansion, outputs, count in STAGES:
            for position in range(count):
                stride = 1 if position else first_stride
                blocks.append(InvertedResidual(inputs, outputs, kernel, stride, expansion))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.conv_head, self.bn1 = SameConv2d(inputs, WIDTH, 1), batch_norm(WIDTH)

    def fold(self) -> "EfficientNetLite0":
        """This network in eval mode with every batch normalisation taken into its convolution."""
        self.eval()
        fold_all(self, {"conv_stem": "bn0", "conv_head": "bn1"})
        for block in self.blocks:
            block.fold()  # type: ignore[operator]
        return self

    def forward(self, x: Tensor) -> Tensor:
        """The last feature map."""
        x = self.blocks(F.relu6(self.bn0(self.conv_stem(x)), inplace=True))
        return F.relu6(self.bn1(self.conv_head(x)), inplace=True)


def fold_all(module: nn.Module, pairs: Mapping[str, str]) -> None:
    """Replaces convolutions by ones that do what their batch normalisation did too, and those by nothing."""
    for conv, norm in pairs.items():
        setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
        setattr(module, norm, nn.Identity())


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The published state dict without its classifier, under the names used here: ``_bn0.bias`` is ``bn0.bias``."""
    return {re.sub(r"(^|\.)_", r"\1", key): value for key, value in state.items() if not key.startswith("_fc.")}
