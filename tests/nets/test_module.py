from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest
import torch
from torch.nn import functional

from nas.errors import InputError
from nas.graph import Builder
from nas.nets import build, build_graph
from nas.space import Architecture, known_network, parse_architecture
from tests.nets.readings import check_all_readings, image, relative_error, torch_params, with_random_norms
from tests.nets.shortened import shortened

LAYERS = [
    {"block": "repvit_stem", "out": 8, "middle": 8},
    {"block": "mbconv", "out": 8, "hidden": 16, "se": 8},
    {"block": "mobileone", "out": 16, "stride": 2, "branches": 2},
    {"block": "repvit", "hidden": 32},
    {"block": "conv", "out": 24, "kernel": 1},
    {"block": "head", "norm": True},
]


@pytest.fixture
def small() -> Architecture:
    """A network of a few thousand weights that has every kind of layer, for 32x32 images and 5 classes."""
    document = {"schema": 1, "name": "small", "resolution": 32, "num_classes": 5, "layers": LAYERS}
    return parse_architecture(document, "small")


def test_weights_are_called_by_layer_and_role(small: Architecture) -> None:
    module = build(small)
    names = [name.rpartition(".")[0] for name, _ in module.named_parameters() if name.endswith("weight")]
    assert names == [
        "layer01_repvit_stem.conv_1.conv", "layer01_repvit_stem.conv_1.norm",
        "layer01_repvit_stem.conv_2.conv", "layer01_repvit_stem.conv_2.norm",
        "layer02_mbconv.pointwise_1.conv", "layer02_mbconv.pointwise_1.norm",
        "layer02_mbconv.depthwise.conv", "layer02_mbconv.depthwise.norm",
        "layer02_mbconv.linear_1", "layer02_mbconv.linear_2",
        "layer02_mbconv.pointwise_2.conv", "layer02_mbconv.pointwise_2.norm",
        "layer03_mobileone.depthwise.branches.conv3x3_1.conv", "layer03_mobileone.depthwise.branches.conv3x3_1.norm",
        "layer03_mobileone.depthwise.branches.conv3x3_2.conv", "layer03_mobileone.depthwise.branches.conv3x3_2.norm",
        "layer03_mobileone.depthwise.branches.conv1x1.conv", "layer03_mobileone.depthwise.branches.conv1x1.norm",
        "layer03_mobileone.pointwise.branches.conv1x1_1.conv", "layer03_mobileone.pointwise.branches.conv1x1_1.norm",
        "layer03_mobileone.pointwise.branches.conv1x1_2.conv", "layer03_mobileone.pointwise.branches.conv1x1_2.norm",
        "layer04_repvit.depthwise.branches.conv3x3.conv", "layer04_repvit.depthwise.branches.conv3x3.norm",
        "layer04_repvit.depthwise.branches.conv1x1.conv", "layer04_repvit.depthwise.norm",
        "layer04_repvit.pointwise_1.conv", "layer04_repvit.pointwise_1.norm",
        "layer04_repvit.pointwise_2.conv", "layer04_repvit.pointwise_2.norm",
        "layer05_conv.pointwise.conv", "layer05_conv.pointwise.norm",
        "layer06_head.classifier.norm", "layer06_head.classifier.linear",
    ]  # fmt: skip
    fused = build(small).fuse().state_dict()
    assert "layer04_repvit.depthwise.weight" in fused
    assert "layer06_head.classifier.bias" in fused
    assert not any("norm" in name for name in fused)


def test_weights_depend_on_the_seed_alone(small: Architecture) -> None:
    before = torch.get_rng_state()
    first, again, other = (build(small, seed=seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["layer05_conv.pointwise.conv.weight"], other["layer05_conv.pointwise.conv.weight"])


def test_convolutions_keep_the_variance_of_their_input() -> None:
    builder = Builder((64, 8, 8))
    x = builder.conv(builder.input, 64, 3, norm=False, act="relu")
    builder.conv(x, 64, 3, norm=False)
    module = build_graph(builder.build())
    for position, gain in ((1, 1.0), (3, 2.0)):  # the second one is behind an activation
        layer = module.layer(position)
        assert isinstance(layer, torch.nn.Conv2d)
        # 36,864 samples: their variance is within 5 % of the true one (4 standard errors are 3 %).
        assert layer.weight.var().item() == pytest.approx(gain / (64 * 9), rel=0.05)


def test_an_untrained_deep_network_keeps_its_values_in_range() -> None:
    module = with_random_norms(build(known_network("repvit-m2.3").at_resolution(64)))
    with torch.no_grad():
        assert 1e-2 < module(image(module)).std() < 1e2


def test_num_classes_replaces_the_classifier_alone(small: Architecture) -> None:
    module = build(small, num_classes=3)
    assert module.architecture is not None and module.architecture.num_classes == 3
    assert module(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    # 24 inputs and a bias for each of the 2 classes that are gone.
    assert torch_params(build(small)) - torch_params(module) == 2 * 25


def test_in_channels_replace_what_the_stem_reads(small: Architecture) -> None:
    module = build(small, in_channels=4)
    assert module(torch.zeros(2, 4, 32, 32)).shape == (2, 5)
    with pytest.raises(InputError, match="small: in_channels must be one of 1, 3, 4, but got 2"):
        build(small, in_channels=2)
    with pytest.raises(InputError, match="small: num_classes must be an integer from 2 to 1000000, but got 1"):
        build(small, num_classes=1)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("family", ["mobilenetv3-small", "mobilevit", "espnetv2", "squeezenet"])
def test_all_readings_of_a_network_for_rectangles_agree(family: str, channels: int) -> None:
    network = shortened(family).adapted(in_channels=channels).at_resolution((64, 96))
    check_all_readings(build(network))


@pytest.mark.parametrize("batch", [1, 3])
def test_images_of_a_batch_do_not_mix_in_eval_mode(small: Architecture, batch: int) -> None:
    module = with_random_norms(build(small))
    x = image(module, batch=batch)
    with torch.no_grad():
        assert torch.allclose(module(x)[-1:], module(x[-1:]), atol=1e-5)


def test_training_lowers_the_loss_and_fusing_keeps_what_was_learned(small: Architecture) -> None:
    module = build(small)
    x = image(module, batch=16)
    labels = torch.arange(16) % 5
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(20):
        loss = functional.cross_entropy(module(x), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(p.grad is not None for p in module.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    module.eval()
    with torch.no_grad():
        assert relative_error(module.fuse()(x), module(x)) <= 1e-4


def test_fusing_leaves_the_module_alone(small: Architecture) -> None:
    module = build(small).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    fused = module.fuse()
    assert module.training and not fused.training
    with torch.no_grad():
        for parameter in fused.parameters():
            parameter.fill_(7.0)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_fusing_twice_is_fusing_once(small: Architecture) -> None:
    once = with_random_norms(build(small)).fuse()
    x = image(once)
    with torch.no_grad():
        assert torch.equal(once.fuse()(x), once(x))


def test_fusing_keeps_the_precision(small: Architecture) -> None:
    assert {p.dtype for p in build(small).double().fuse().parameters()} == {torch.float64}


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        # Channels as the papers' tables give them; 64 pixels.
        ("mobilenetv2-1.0", {4: (24, 16), 8: (32, 8), 16: (96, 4), 32: (1280, 2)}),
        ("mobilenetv3-large-1.0", {4: (24, 16), 8: (40, 8), 16: (112, 4), 32: (960, 2)}),
        ("repvit-m0.9", {4: (48, 16), 8: (96, 8), 16: (192, 4), 32: (384, 2)}),
        ("repvgg-a0", {4: (48, 16), 8: (96, 8), 16: (192, 4), 32: (1280, 2)}),
    ],
)
def test_features_are_the_last_maps_of_each_stride(name: str, shapes: dict[int, tuple[int, int]]) -> None:
    module = build(known_network(name).at_resolution(64)).eval()
    with torch.no_grad():
        maps = module.features(image(module, batch=2))
    assert list(module.feature_positions()) == list(shapes)
    assert [tuple(m.shape) for m in maps] == [(2, c, size, size) for c, size in shapes.values()]


def test_a_backbone_gives_the_maps_of_both_forms(small: Architecture) -> None:
    backbone = build(small, features_only=True)
    assert backbone.strides == (4, 8) and backbone.channels == (8, 24)
    with_random_norms(backbone.network)
    x = image(backbone.network)
    with torch.no_grad():
        maps, fused = backbone(x), backbone.fuse()(x)
    assert [tuple(m.shape[1:]) for m in maps] == [(8, 8, 8), (24, 4, 4)]
    assert all(relative_error(one, other) <= 1e-4 for one, other in zip(fused, maps, strict=True))


def test_the_last_feature_map_leads_to_the_output(small: Architecture) -> None:
    module = with_random_norms(build(small))
    x = image(module)
    with torch.no_grad():
        *_, last = module.features(x)
        pooled = last.mean((2, 3))
        head = module.get_submodule("layer06_head.classifier")
        assert torch.allclose(head(pooled), module(x), atol=1e-5)


def test_a_network_of_low_stride_has_fewer_maps() -> None:
    builder = Builder((3, 16, 16))
    builder.layer = 1
    builder.conv(builder.input, 4, 3, 4)
    assert [tuple(m.shape) for m in build_graph(builder.build()).features(torch.zeros(1, 3, 16, 16))] == [(1, 4, 4, 4)]


def test_torch_can_export_the_module(small: Architecture) -> None:
    module = with_random_norms(build(small))
    x = image(module)
    program = torch.export.export(module, (x,))
    with torch.no_grad():
        assert torch.allclose(program.module()(x), module(x), atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torch_exports_a_module_with_a_free_batch(small: Architecture, tmp_path: Path) -> None:
    module, path = build(small).eval(), tmp_path / "m.onnx"
    example = torch.zeros(1, 3, 32, 32)
    torch.onnx.export(module, (example,), str(path), input_names=["x"], dynamic_axes={"x": {0: "n"}}, dynamo=False)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (found,) = session.run(None, {"x": x.numpy()})
    with torch.no_grad():
        assert relative_error(torch.from_numpy(found), module(x)) < 1e-4
