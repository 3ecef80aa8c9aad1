"""DeepLabV3+ and its trunks against torchvision, formulas and the counts of the networks."""

import copy
import inspect

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models.segmentation.deeplabv3 import ASPP as TheirASPP

from models import deeplab
from models.deeplab import (
    deeplabv3plus_resnet50,
    deeplabv3plus_wrn16_tiny,
    deeplabv3plus_wrn38,
    load_backbone,
    trunk_state,
    upsample,
)
from models.weights import WeightsError
from models.wide_resnet import PreactivationBlock, wrn16_tiny, wrn16_tiny_trunk, wrn38, wrn38_trunk
from padding import SCHEMES, convert_padding, padding_of, padding_ratio

NETWORKS = (deeplabv3plus_resnet50, deeplabv3plus_wrn38, deeplabv3plus_wrn16_tiny)
SMALL = (1, 2, 3)  # rates for maps of 8 pixels
# parameters, the trunk's, padded convolutions, all convolutions, TFLOP of: a crop, the image
FACTS = {
    deeplabv3plus_resnet50: (40_351_040, 23_508_032, 22, 63, (896, "1.118", "2.921")),
    deeplabv3plus_wrn38: (137_103_936, 105_062_720, 38, 53, (736, "3.009", "11.65")),
}


def on_meta(network, *arguments, **options):
    with torch.device("meta"):
        return network(*arguments, **options).eval()


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def convolutions(module):
    return [one for one in module.modules() if isinstance(one, nn.Conv2d)]


def padded(module):
    return [one for one in convolutions(module) if one.padding != (0, 0)]


def used(module):
    """Give every BN statistics and an affine map that no fresh one has, and return `module`."""
    for one in module.modules():
        if isinstance(one, nn.BatchNorm2d):
            one.running_mean.normal_(std=0.1)
            one.running_var.uniform_(0.5, 2)
            nn.init.uniform_(one.weight, 0.5, 1.5)
            nn.init.normal_(one.bias, std=0.1)
            one.num_batches_tracked += 9
    return module.eval()


def same(one, other):
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("network", FACTS)
def test_counts(network):
    whole, trunk, with_padding, convs, (crop, crop_tflop, image_tflop) = FACTS[network]
    model = on_meta(network, 19)
    assert (parameters(model), parameters(model.trunk)) == (whole, trunk)
    assert (len(padded(model)), len(convolutions(model))) == (with_padding, convs)
    assert all(one.bias is None for one in convolutions(model))
    norms = [one for one in model.modules() if isinstance(one, nn.BatchNorm2d)]
    assert {(one.eps, one.momentum) for one in norms} == {(1e-5, 0.1)}
    for size, expected in (((crop, crop), crop_tflop), ((1024, 2048), image_tflop)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            logits = model(torch.empty(1, 3, *size, device="meta"))
        assert logits.shape == (1, 19, *size)
        assert f"{counter.get_total_flops() / 1e12:.4g}" == expected


def test_counts_of_the_classifier_and_of_the_tiny_network():
    assert parameters(on_meta(wrn38)) == 109_167_912
    tiny = on_meta(deeplabv3plus_wrn16_tiny)
    assert len(padded(tiny)) == 16
    assert f"{parameters(tiny):.1e}" == "2.0e+06"


@pytest.mark.parametrize("choice", ["contract", "full"])
def test_the_resnet_trunk_is_torchvisions_bit_for_bit(choice):
    torch.manual_seed(1)
    theirs = torchvision.models.resnet50(
        weights=None, replace_stride_with_dilation=[False, True, True]
    )
    if choice == "full":  # every 3x3 of layer3 by 2, of layer4 by 4
        for stage, dilation in ((theirs.layer3, 2), (theirs.layer4, 4)):
            for block in stage:
                block.conv2.dilation = block.conv2.padding = (dilation, dilation)
    torch.manual_seed(1)
    ours = deeplabv3plus_resnet50(3, SMALL, first_block_dilation=choice)
    fresh = {key: value for key, value in theirs.state_dict().items() if key[:3] != "fc."}
    assert same(trunk_state(ours), fresh)
    load_backbone(ours.eval(), used(theirs).state_dict())
    seen = {}
    for name in ("layer1", "layer4"):
        theirs.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: seen.update({name: output})
        )
    image = torch.randn(1, 3, 65, 81)
    with torch.no_grad():
        theirs(image)
        early, last = ours.trunk(image)
    assert torch.equal(early, seen["layer1"])
    assert torch.equal(last, seen["layer4"])
    assert early.shape[1:] == (256, 17, 21)
    assert last.shape[1:] == (2048, 9, 11)


@pytest.mark.parametrize("make", [wrn38_trunk, wrn16_tiny_trunk])
def test_dilations_strides_and_dropout_of_the_wide_resnet(make):
    trunk = on_meta(make)
    dilations = {"mod1": 1, "mod2": 1, "mod3": 1, "mod4": 1, "mod5": 2, "mod6": 4, "mod7": 4}
    for name, dilation in dilations.items():
        for conv in padded(trunk.get_submodule(name)):
            assert conv.kernel_size == (3, 3)
            assert conv.dilation == conv.padding == (dilation, dilation)
    strided = [name for name, one in trunk.named_modules() if getattr(one, "stride", 1) == (2, 2)]
    assert strided == ["mod4.0.convs.0", "mod4.0.shortcut"]
    drops = {n: one.p for n, one in trunk.named_modules() if isinstance(one, nn.Dropout2d)}
    assert drops == {"mod6.0.convs.6": 0.3, "mod7.0.convs.6": 0.5}  # in front of the last 1x1
    shortcuts = [n for n, one in trunk.named_modules() if n.endswith("shortcut")]
    assert shortcuts == [f"mod{i}.0.shortcut" for i in range(2, 8)]
    early, last = trunk(torch.empty(1, 3, 65, 81, device="meta"))
    assert early.shape == (1, trunk.channels[0], 33, 41)
    assert last.shape == (1, trunk.channels[1], 9, 11)


@pytest.mark.parametrize(("inputs", "stride"), [(6, 1), (4, 1), (6, 2)])
def test_a_block_is_its_formula(inputs, stride):
    block = used(PreactivationBlock(inputs, (4, 5, 6), stride, dilations=(1, 2), dropout=0.3))

    def active(x, bn):
        statistics = bn.running_mean, bn.running_var, bn.weight, bn.bias
        mean, variance, weight, bias = (one[:, None, None] for one in statistics)
        return ((x - mean) / (variance + 1e-5).sqrt() * weight + bias).clamp(min=0)

    one, three, last = (conv.weight for conv in convolutions(block.convs))
    middle, end = (layer for layer in block.convs if isinstance(layer, nn.BatchNorm2d))
    with torch.no_grad():
        x = torch.randn(2, inputs, 9, 7)
        a = active(x, block.bn)
        y = F.conv2d(a, one, stride=stride)
        y = F.conv2d(active(y, middle), three, padding=2, dilation=2)
        y = F.conv2d(active(y, end), last)
        straight = inputs == 6 and stride == 1
        shortcut = x if straight else F.conv2d(a, block.shortcut.weight, stride=stride)
        given = x.clone()
        torch.testing.assert_close(block(x), shortcut + y)
    assert torch.equal(x, given)  # though its ReLUs work in place


def test_the_contracted_trunk_holds_what_the_classifier_computes():
    torch.manual_seed(2)
    classifier = used(wrn16_tiny(5))
    outputs = []
    with torch.no_grad():
        image = torch.randn(1, 3, 97, 129)
        classifier.mod7.register_forward_hook(lambda module, inputs, output: outputs.append(output))
        logits = classifier(image)
        for choice in ("contract", "full"):
            model = deeplabv3plus_wrn16_tiny(first_block_dilation=choice).eval()
            load_backbone(model, classifier.state_dict())
            outputs.append(model.trunk(image)[1][:, :, ::4, ::4])
    strided, contracted, full = outputs
    assert logits.shape == (1, 5)
    torch.testing.assert_close(contracted, strided, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(full, strided, rtol=1e-2, atol=1e-3)


def test_the_aspp_is_torchvisions_in_another_order():
    torch.manual_seed(3)
    theirs = used(TheirASPP(48, (12, 24, 36), 16))
    ours = deeplab.ASPP(48, 16, (12, 24, 36)).eval()
    *convs, pool = theirs.convs
    for one, other in zip([*ours.convs, ours.pool], [*convs, pool], strict=True):
        one.load_state_dict(other.state_dict())
    with torch.no_grad():
        x = torch.randn(2, 48, 40, 44)
        mean, *branches = ours(x).split(16, dim=1)
        assert len(branches) == 4
        for branch, conv in zip(branches, convs, strict=True):
            assert torch.equal(branch, conv(x))
        pixel = nn.Sequential.forward(pool, x)
        assert torch.equal(mean, upsample(pixel, (40, 44)))
        torch.testing.assert_close(mean, pool(x))  # their bilinear weights round
    at_size = deeplab.ASPP(2048, 256, (12, 24, 36))
    assert parameters(at_size) == parameters(TheirASPP(2048, [12, 24, 36]).convs) == 15_206_912


def test_without_the_image_pool():
    model = deeplabv3plus_wrn16_tiny(3, image_pool=False).train()
    assert model.aspp.pool is None
    assert model.project.in_channels == 4 * 64
    assert model(torch.randn(1, 3, 32, 32)).shape == (1, 3, 32, 32)  # one image is enough for BN


@pytest.mark.parametrize("size", [(65, 97), (33, 47), (64, 50)])
def test_logits_have_the_images_size(size):
    tiny = deeplabv3plus_wrn16_tiny(7).eval()
    with torch.no_grad():
        assert tiny(torch.randn(2, 3, *size)).shape == (2, 7, *size)
    for network in FACTS:
        assert on_meta(network, 7)(torch.empty(2, 3, *size, device="meta")).shape == (2, 7, *size)


def test_upsampling_aligns_corners_in_float32():
    x = torch.randn(1, 2, 3, 4)
    big = upsample(x, (9, 13))
    assert torch.equal(big[..., ::4, ::4], x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(upsample(x.bfloat16(), (9, 13)), upsample(x.bfloat16().float(), (9, 13)))
        assert deeplabv3plus_wrn16_tiny(3).eval()(torch.randn(1, 3, 32, 32)).dtype == torch.float32
    assert upsample(x.double(), (9, 13)).dtype == torch.float64


@pytest.mark.parametrize("network", [deeplabv3plus_resnet50, deeplabv3plus_wrn16_tiny])
def test_every_padding_and_back_gives_the_same_bits(network):
    torch.manual_seed(4)
    model = used(network(5, SMALL))
    before = copy.deepcopy(model.state_dict())
    own = list(model.parameters())
    image = torch.randn(1, 3, 65, 66)
    outputs = {}
    with torch.no_grad():
        zero = model(image)
        for scheme in SCHEMES:
            convert_padding(model, scheme)
            assert set(padding_of(model).values()) == {scheme}
            outputs[scheme] = model(image)
        assert torch.equal(outputs["zero"], zero)
        assert torch.equal(convert_padding(model, "zero")(image), zero)
    assert same(model.state_dict(), before)
    assert all(one is other for one, other in zip(own, model.parameters(), strict=True))
    for one in SCHEMES:
        assert all(one == o or not torch.equal(outputs[one], outputs[o]) for o in SCHEMES)


@pytest.mark.parametrize("network", [deeplabv3plus_resnet50, deeplabv3plus_wrn16_tiny])
def test_one_seed_gives_the_same_weights(network):
    def weights(scheme, **options):
        torch.manual_seed(5)
        return convert_padding(network(5, **options), scheme).state_dict()

    assert same(weights("zero"), weights("partial", first_block_dilation="contract"))


@pytest.mark.parametrize("extent", [20, 36, 37, 92, 112])
def test_the_ratio_at_dilation_36_is_counted(extent):
    def inside(size):
        return [sum(0 <= i + 36 * t < size for t in (-1, 0, 1)) for i in range(size)]

    taps = torch.tensor([[y * x for x in inside(128)] for y in inside(extent)])
    rows, columns = padding_ratio((extent, 128), (3, 3), (1, 1), (36, 36), (36, 36))
    torch.testing.assert_close(rows[:, None] * columns, 9 / taps.double(), rtol=1e-15, atol=0)
    if extent <= 36:  # nothing but the centre
        assert (rows == 3).all()


def test_partial_padding_at_dilation_36_is_the_counted_multiple_of_zero_padding():
    torch.manual_seed(9)
    zero = deeplab.ASPP(4, 8, (36,)).convs[1][0]
    partial = convert_padding(copy.deepcopy(zero), "partial")
    with torch.no_grad():
        x, ones = torch.randn(1, 4, 50, 92), torch.ones(1, 1, 50, 92)
        taps = F.conv2d(ones, torch.ones(1, 1, 3, 3), padding=36, dilation=36)
        torch.testing.assert_close(partial(x), zero(x) * 9 / taps)


@pytest.mark.parametrize(
    ("size", "percent"), [((112, 112), 87.2), ((92, 92), 95.3), ((128, 128), 80.9)]
)
def test_where_partial_padding_acts_at_dilation_36(size, percent):
    rows, columns = padding_ratio(size, (3, 3), (1, 1), (36, 36), (36, 36))
    share = (rows[:, None] * columns != 1).double().mean()
    assert round(100 * float(share), 1) == percent


@pytest.mark.parametrize(
    ("network", "classifier", "left_out"),
    [
        (deeplabv3plus_resnet50, torchvision.models.resnet50, ["fc.weight", "fc.bias"]),
        (
            deeplabv3plus_wrn16_tiny,
            lambda weights: wrn16_tiny(10),
            ["bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"]
            + ["bn.num_batches_tracked", "fc.weight", "fc.bias"],
        ),
    ],
)
def test_a_backbone_is_copied_whole(network, classifier, left_out):
    torch.manual_seed(6)
    file = used(classifier(weights=None)).state_dict()
    model = convert_padding(network(3), "partial")
    head = {k: v.clone() for k, v in model.state_dict().items() if not k.startswith("trunk.")}
    own = list(model.parameters())
    facts = load_backbone(model, file)
    assert facts == {"kind": "a state_dict", "left_out": left_out}
    assert same(trunk_state(model), {k: v for k, v in file.items() if k not in left_out})
    now = model.state_dict()
    assert all(torch.equal(now[key], value) for key, value in head.items())
    assert all(one is other for one, other in zip(own, model.parameters(), strict=True))
    run = load_backbone(model, {"model": {f"module.{k}": v for k, v in file.items()}, "epoch": 3})
    assert run == {"kind": "a run's checkpoint", "left_out": left_out}
    assert load_backbone(model, trunk_state(model))["left_out"] == []


def test_wrn38s_keys_and_shapes_are_its_classifiers():
    file = {k: v.shape for k, v in on_meta(wrn38, 7).state_dict().items()}
    trunk = {k: v.shape for k, v in trunk_state(on_meta(deeplabv3plus_wrn38)).items()}
    assert list(file) == [*trunk, *(k for k in file if k.startswith(("bn.", "fc.")))]
    assert all(file[key] == shape for key, shape in trunk.items())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (lambda: torchvision.models.resnet18(), r"it lacks layer1\.0\.conv3\.weight and \d+ more"),
        (lambda: torchvision.models.resnet101(), r"it has layer3\.6\.conv1\.weight and \d+ more"),
        (lambda: torchvision.models.wide_resnet50_2(), r"it has another shape of layer1\.0\.conv1"),
        (lambda: wrn16_tiny(10), r"it lacks conv1\.weight and \d+ more"),
        (lambda: deeplabv3plus_resnet50(), r"it lacks conv1\.weight and \d+ more"),
    ],
)
def test_other_networks_are_refused(content, told):
    model = on_meta(deeplabv3plus_resnet50)
    with pytest.raises(WeightsError, match=told) as error:
        load_backbone(model, on_meta(content).state_dict())
    assert "\n" not in str(error.value)
    assert isinstance(error.value, ValueError)


@pytest.mark.parametrize("content", [{}, [1], {"model": {}}, {"conv1.weight": 3}])
def test_what_holds_no_weights_is_refused(content):
    with pytest.raises(WeightsError, match="it holds no weights|is no tensor"):
        load_backbone(on_meta(deeplabv3plus_resnet50), content)


@pytest.mark.parametrize("network", NETWORKS)
def test_choices_are_arguments_and_checked(network):
    assert list(inspect.signature(network).parameters) == [
        *("num_classes", "rates", "first_block_dilation", "image_pool")
    ]
    with pytest.raises(
        ValueError, match="unknown first_block_dilation 'half'; choose from full, c"
    ):
        network(first_block_dilation="half")
    with pytest.raises(ValueError, match=r"1 or more; got \(0, 12\)"):
        on_meta(network, rates=(0, 12))


def test_initial_weights():
    torch.manual_seed(7)
    resnet = deeplabv3plus_resnet50(19)
    torch.manual_seed(7)
    tiny = deeplabv3plus_wrn16_tiny(19)

    def gain(conv):
        """Return the deviation of the weights, times the root of the fan-in."""
        return float(conv.weight.detach().std() * conv.weight[0].numel() ** 0.5)

    kaiming = [*convolutions(resnet.aspp), resnet.project, resnet.skip]
    kaiming += [*convolutions(resnet.final), *convolutions(tiny.final)]
    default = [*convolutions(tiny.aspp), tiny.project, tiny.trunk.mod7[0].shortcut]
    assert [gain(conv) for conv in kaiming] == pytest.approx([2**0.5] * len(kaiming), rel=0.05)
    assert [gain(conv) for conv in default] == pytest.approx([3**-0.5] * len(default), rel=0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_tiny_network_learns(scheme):
    torch.manual_seed(8)
    model = convert_padding(deeplabv3plus_wrn16_tiny(4), scheme).train()
    images, labels = torch.randn(2, 3, 64, 64), torch.randint(4, (2, 64, 64))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(4):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(one is not None and one.isfinite().all() and one.any() for one in gradients)
    assert losses[-1] < losses[0]
