"""Which models convert_padding converts: every torchvision model, and timm's families.

python -m benchmarks.conversion --out docs/conversion.md
"""

import argparse
import inspect
import re
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import torch
import torchvision
from torch import nn
from tqdm import tqdm

from foundation.errors import UserError, run_command
from foundation.files import write_atomically
from padding import PaddingWarning, convert_padding
from padding.inspection import padded_convolutions
from results.render import Table, render

# One or two of each of timm's families of convolutional and mixed networks.
TIMM = """
botnet26t_256 coatnet_0_rw_224 convmixer_768_32 convnext_tiny convnextv2_tiny cspdarknet53
cspresnet50 darknet53 davit_tiny densenet121 dla34 dm_nfnet_f0 dpn68 eca_nfnet_l0 edgenext_small
efficientformer_l1 efficientnet_b0 efficientnetv2_rw_s efficientvit_b0 ese_vovnet19b_dw
fastvit_t8 fbnetc_100 focalnet_tiny_srf gernet_s ghostnet_100 halonet26t hgnetv2_b0 hrnet_w18
inception_next_tiny inception_resnet_v2 inception_v3 levit_128 maxvit_tiny_tf_224 mixnet_s
mnasnet_100 mobilenetv2_100 mobilenetv3_large_100 mobilenetv4_conv_small mobileone_s0
mobilevit_s mobilevitv2_100 nf_regnet_b1 nf_resnet50 nfnet_l0 poolformer_s12 pvt_v2_b0
regnety_032 repghostnet_100 repvgg_a0 res2net50_26w_4s resnest50d resnet50 resnetv2_50
resnetv2_50x1_bit resnext50_32x4d rexnet_100 selecsls42 seresnet50 skresnet18 starnet_s1
swin_tiny_patch4_window7_224 tf_efficientnet_b0 tf_efficientnetv2_s tf_mixnet_s
tf_mobilenetv3_large_100 tiny_vit_5m_224 tresnet_m vgg16_bn visformer_small vit_base_patch16_224
xception41 xcit_tiny_12_p8_224
"""

_TITLE = """# What `convert_padding` converts

`python -m benchmarks.conversion --out docs/conversion.md` makes this page: every model is built,
converted to partial padding and looked through.

- *converted*: convolutions with padding that change their scheme.
- *stays*: padded convolutions that `convert_padding` leaves alone and warns of. A model with both
  is mixed after the conversion: part of it pads by the new scheme, part does not.

How to deal with the layers that stay: [padding.md](padding.md#layers-that-stay-as-they-are).
"""


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.conversion", description=__doc__.split("\n")[0]
    )
    parser.add_argument("models", nargs="*", help="these alone, for example resnet50 nfnet_l0")
    parser.add_argument("--out", type=Path, help="write the page here as well")
    arguments = parser.parse_args()
    text = "\n".join([_TITLE, *(render(t, "markdown") for t in tables(arguments.models))])
    print(text)
    if arguments.out:
        write_atomically(arguments.out, text.encode())


def tables(models: list[str]) -> Iterator[Table]:
    """Yield a table for each library: all its models, or those of `models`."""
    try:
        import timm
    except ImportError:
        raise UserError("timm is missing; run `make env`, or pip install timm") from None

    def torchvisions(name: str) -> nn.Module:
        builder = torchvision.models.get_model_builder(name)
        backbone = "weights_backbone" in inspect.signature(builder).parameters
        return builder(weights=None, **({"weights_backbone": None} if backbone else {}))

    libraries: dict[str, tuple[list[str], Callable[[str], nn.Module]]] = {
        "torchvision": (torchvision.models.list_models(), torchvisions),
        "timm": (TIMM.split(), timm.create_model),
    }
    for library, (names, build) in libraries.items():
        chosen = [name for name in names if name in models or not models]
        yield Table(
            name=library,
            title=f"{library} {metadata.version(library)}",
            names=2,
            columns=("model", "what stays", "converted", "stays"),
            rows=tuple(_row(name, build) for name in tqdm(chosen, library, leave=False)),
            notes=(),
        )


def _built(name: str, build: Callable[[str], nn.Module]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries' own
        try:
            with torch.device("meta"):  # without the weights
                return build(name)
        except (NotImplementedError, RuntimeError):  # its constructor computes
            return build(name)


def _row(name: str, build: Callable[[str], nn.Module]) -> tuple[str, ...]:
    model = _built(name, build)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        before = list(padded_convolutions(model))
        convert_padding(model, "partial")
    converted = sum(found.scheme == "partial" for found in padded_convolutions(model))
    heard = [str(w.message) for w in told if w.category is PaddingWarning]
    assert bool(heard) == (converted < len(before) or not before), f"{name}: {heard}"
    # "16 x StdConv2d with a forward of its own (stem.conv, ...)" without the layers' names.
    kinds = re.findall(r"(\d+ x .*?) \(", heard[0]) if heard else []
    what = "; ".join(kinds) or ("no padded convolution" if not before else "")
    return name, what, str(converted), str(len(before) - converted)


if __name__ == "__main__":
    run_command(main)
