"""transformers, further families: other encoders and decoders of text, speech, segmentation, detection."""
import functools

from . import Exportable, TorchCase
from .transformers import SMALL, VOCABULARY, decoder_with_past, module_of, text, tokens

EAGER = {"attn_implementation": "eager"}


def encoder(name, config):
    import transformers
    net = getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**config, **EAGER))
    return text(net, lambda net, input_ids, attention_mask: net(
        input_ids=input_ids, attention_mask=attention_mask).last_hidden_state)


def causal(name, **config):
    """A decoder of Llama's kind: grouped queries, rotary positions."""
    import transformers
    made = getattr(transformers, f"{name}Config")(
        **SMALL, num_key_value_heads=2, max_position_embeddings=64, head_dim=8, **config, **EAGER)
    return getattr(transformers, f"{name}ForCausalLM")(made)


def bart():
    import torch
    import transformers
    config = transformers.BartConfig(
        vocab_size=VOCABULARY, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=40, use_cache=False, **EAGER)

    def call(net, input_ids, attention_mask, decoder_input_ids):
        return net(input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=decoder_input_ids).logits

    feed = lambda batch, length, out: {"input_ids": tokens(batch, length),
                                       "attention_mask": torch.ones(batch, length, dtype=torch.int64),
                                       "decoder_input_ids": tokens(batch, out)}
    axes = {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"},
            "decoder_input_ids": {0: "batch", 1: "out"}}
    return Exportable(module_of(call, transformers.BartForConditionalGeneration(config)), feed(2, 7, 3), axes, [feed(3, 12, 5)])


def wav2vec2():
    import torch
    import transformers
    config = transformers.Wav2Vec2Config(
        **SMALL, conv_dim=(16, 16, 16), conv_stride=(5, 2, 2), conv_kernel=(10, 3, 2), num_feat_extract_layers=3,
        num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4, **EAGER)
    feed = lambda batch, samples: {"input_values": torch.randn(batch, samples)}
    return Exportable(module_of(lambda net, input_values: net(input_values=input_values).logits,
                                transformers.Wav2Vec2ForCTC(config)),
                      feed(2, 400), {"input_values": {0: "batch", 1: "samples"}}, [feed(3, 560)])


def image_case(net, call, height, width, *others):
    import torch
    feed = lambda batch, height, width: {"pixel_values": torch.randn(batch, 3, height, width)}
    axes = {"pixel_values": {0: "batch", 2: "height", 3: "width"}}
    return Exportable(module_of(call, net), feed(2, height, width), axes, [feed(*other) for other in others])


def segformer():
    import transformers
    config = transformers.SegformerConfig(
        hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 2, 3, 4], decoder_hidden_size=16,
        num_labels=5, **EAGER)
    return image_case(transformers.SegformerForSemanticSegmentation(config),
                      lambda net, pixel_values: net(pixel_values=pixel_values).logits, 64, 96, (1, 96, 64))


def detr():
    import transformers
    backbone = transformers.ResNetConfig(embedding_size=16, hidden_sizes=[16, 24, 32, 40], depths=[1, 1, 1, 1],
                                         out_features=["stage4"])
    config = transformers.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=32,
        encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
        decoder_ffn_dim=48, num_queries=10, num_labels=5, **EAGER)

    def call(net, pixel_values):
        found = net(pixel_values=pixel_values)
        return found.logits, found.pred_boxes

    return image_case(transformers.DetrForObjectDetection(config), call, 64, 96, (1, 96, 64))


DISTILBERT = {"vocab_size": VOCABULARY, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
CASES = [TorchCase("distilbert", functools.partial(encoder, "DistilBert", DISTILBERT)),
         TorchCase("roberta", functools.partial(encoder, "Roberta", SMALL)),
         TorchCase("electra", functools.partial(encoder, "Electra", {**SMALL, "embedding_size": 16})),
         TorchCase("mpnet", functools.partial(encoder, "MPNet", SMALL)),
         *(TorchCase(f"{name.lower()}_past", functools.partial(decoder_with_past, functools.partial(causal, name, **options), 2))
           for name, options in [("Mistral", {"sliding_window": None}), ("Qwen2", {}), ("Qwen3", {}), ("Gemma", {}), ("Gemma2", {})]),
         TorchCase("bart", bart), TorchCase("wav2vec2", wav2vec2), TorchCase("segformer", segformer), TorchCase("detr", detr)]
