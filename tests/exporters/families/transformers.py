"""transformers: small random configurations, encoders and decoders, these also with the keys and values of the past."""
from . import Exportable, TorchCase

VOCABULARY = 99
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
         "vocab_size": VOCABULARY}


def module_of(call, net):
    """A module of positional tensors around `call(net, *tensors)`, which returns tensors."""
    import torch

    class Call(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

    # The exporters look at the signature: the arguments must be plain ones.
    arguments = ", ".join(call.__code__.co_varnames[1:call.__code__.co_argcount])
    scope = {"call": call}
    exec(f"def forward(self, {arguments}): return call(self.net, {arguments})", scope)
    Call.forward = scope["forward"]
    return Call()


def tokens(*shape):
    import torch
    return torch.randint(1, VOCABULARY, shape)


def text(net, call):
    """A model of token numbers and a mask, for a batch and a length."""
    import torch

    def feed(batch, length):
        mask = torch.ones(batch, length, dtype=torch.int64)
        mask[-1, :2] = 0  # as padded on the left, which every kind of model takes
        return {"input_ids": tokens(batch, length), "attention_mask": mask}

    axes = {name: {0: "batch", 1: "length"} for name in ("input_ids", "attention_mask")}
    return Exportable(module_of(call, net), feed(2, 7), axes, [feed(3, 12), feed(2, 5)])


def bert():
    import transformers
    config = transformers.BertConfig(**SMALL, attn_implementation="eager")
    return text(transformers.BertModel(config), lambda net, input_ids, attention_mask: tuple(
        net(input_ids=input_ids, attention_mask=attention_mask, return_dict=False)))


def gpt2_net():
    import transformers
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=4, n_positions=64, vocab_size=VOCABULARY, attn_implementation="eager"))


def llama_net():
    import transformers
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        **SMALL, num_key_value_heads=2, max_position_embeddings=64, attn_implementation="eager"))


def decoder(make):
    return text(make(), lambda net, input_ids, attention_mask: net(
        input_ids=input_ids, attention_mask=attention_mask, use_cache=False).logits)


def decoder_with_past(make, heads):
    """One step of a generation: tokens, a mask over past and tokens, and the past of both layers."""
    import torch
    import transformers

    def call(net, input_ids, attention_mask, key0, value0, key1, value1):
        cache = transformers.DynamicCache([(key0, value0), (key1, value1)])
        result = net(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        kept = result.past_key_values
        return (result.logits, *(part for layer in kept.layers for part in (layer.keys, layer.values)))

    def feed(batch, length, past):
        state = lambda: torch.randn(batch, heads, past, 8)
        return {"input_ids": tokens(batch, length), "attention_mask": torch.ones(batch, past + length, dtype=torch.int64),
                "key0": state(), "value0": state(), "key1": state(), "value1": state()}

    axes = {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "total"},
            **{name: {0: "batch", 2: "past"} for name in ("key0", "value0", "key1", "value1")}}
    return Exportable(module_of(call, make()), feed(2, 3, 5), axes, [feed(3, 2, 9), feed(2, 4, 3)])


def t5():
    import torch
    import transformers
    config = transformers.T5Config(d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, vocab_size=VOCABULARY,
                                   attn_implementation="eager", use_cache=False)

    def call(net, input_ids, attention_mask, decoder_input_ids):
        return net(input_ids=input_ids, attention_mask=attention_mask, decoder_input_ids=decoder_input_ids).logits

    feed = lambda batch, length, out: {"input_ids": tokens(batch, length), "decoder_input_ids": tokens(batch, out),
                                       "attention_mask": torch.ones(batch, length, dtype=torch.int64)}
    order = lambda given: {name: given[name] for name in ("input_ids", "attention_mask", "decoder_input_ids")}
    axes = {"input_ids": {0: "batch", 1: "length"}, "attention_mask": {0: "batch", 1: "length"},
            "decoder_input_ids": {0: "batch", 1: "out"}}
    return Exportable(module_of(call, transformers.T5ForConditionalGeneration(config)), order(feed(2, 7, 3)), axes,
                      [order(feed(3, 12, 5))])


def vit():
    import torch
    import transformers
    config = transformers.ViTConfig(**{key: SMALL[key] for key in SMALL if key != "vocab_size"}, image_size=32, patch_size=8,
                                    attn_implementation="eager")
    image = lambda batch: {"pixel_values": torch.randn(batch, 3, 32, 32)}
    return Exportable(module_of(lambda net, pixel_values: net(pixel_values=pixel_values).logits,
                                transformers.ViTForImageClassification(config)),
                      image(2), {"pixel_values": {0: "batch"}}, [image(3)])


def whisper():
    import torch
    import transformers
    config = transformers.WhisperConfig(
        vocab_size=VOCABULARY, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_source_positions=50, num_mel_bins=16,
        max_target_positions=40, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        attn_implementation="eager", use_cache=False)

    def call(net, input_features, decoder_input_ids):
        return net(input_features=input_features, decoder_input_ids=decoder_input_ids).logits

    feed = lambda batch, out: {"input_features": torch.randn(batch, 16, 100), "decoder_input_ids": tokens(batch, out)}
    return Exportable(module_of(call, transformers.WhisperForConditionalGeneration(config)), feed(2, 3),
                      {"input_features": {0: "batch"}, "decoder_input_ids": {0: "batch", 1: "out"}}, [feed(3, 5)])


def clip():
    import torch
    import transformers
    part = {key: SMALL[key] for key in SMALL if key != "vocab_size"}
    config = transformers.CLIPConfig(
        text_config={**part, "vocab_size": VOCABULARY, "max_position_embeddings": 20, "eos_token_id": 98},
        vision_config={**part, "image_size": 32, "patch_size": 8}, projection_dim=16)
    config._attn_implementation = "eager"

    def call(net, input_ids, attention_mask, pixel_values):
        result = net(input_ids=input_ids, attention_mask=attention_mask, pixel_values=pixel_values)
        return result.logits_per_image, result.text_embeds, result.image_embeds

    feed = lambda texts, length, images: {"input_ids": tokens(texts, length), "pixel_values": torch.randn(images, 3, 32, 32),
                                          "attention_mask": torch.ones(texts, length, dtype=torch.int64)}
    order = lambda given: {name: given[name] for name in ("input_ids", "attention_mask", "pixel_values")}
    axes = {"input_ids": {0: "texts", 1: "length"}, "attention_mask": {0: "texts", 1: "length"},
            "pixel_values": {0: "images"}}
    return Exportable(module_of(call, transformers.CLIPModel(config)), order(feed(3, 7, 2)), axes, [order(feed(2, 9, 4))])


CASES = [TorchCase("bert", bert), TorchCase("gpt2", lambda: decoder(gpt2_net)), TorchCase("llama", lambda: decoder(llama_net)),
         TorchCase("gpt2_past", lambda: decoder_with_past(gpt2_net, 4)),
         TorchCase("llama_past", lambda: decoder_with_past(llama_net, 2)),
         TorchCase("t5", t5), TorchCase("hf_vit", vit), TorchCase("whisper", whisper), TorchCase("clip", clip)]
