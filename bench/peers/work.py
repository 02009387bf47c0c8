"""How much arithmetic the models of models.py need: what the rates of rows.py are made of.

GFLOP of products, two for a multiply-add; norms, softmax and activations are not counted, and of causal attention only
the half that is not masked."""


def _attention(layers, tokens, width, causal=False):
    return layers * (2 if causal else 4) * tokens * tokens * width / 1e9


def _blocks(layers, tokens, width, hidden):
    """Four square products of attention and two of the feed-forward."""
    return layers * 2 * tokens * (4 * width * width + 2 * width * hidden) / 1e9


def vit_tokens(config):
    arguments = config["model_args"]
    return (arguments["img_size"] // arguments["patch_size"]) ** 2 + 1


def vit_attention(config):
    arguments = config["model_args"]
    return _attention(arguments["depth"], vit_tokens(config), arguments["embed_dim"])


def vit(config):
    """Of one picture."""
    arguments, tokens = config["model_args"], vit_tokens(config)
    width = arguments["embed_dim"]
    ends = 2 * width * ((tokens - 1) * 3 * arguments["patch_size"] ** 2 + config["num_classes"]) / 1e9
    return _blocks(arguments["depth"], tokens, width, 4 * width) + vit_attention(config) + ends


def bert(config, tokens):
    """Of one text, up to the last hidden states."""
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    return _blocks(layers, tokens, width, config["intermediate_size"]) + _attention(layers, tokens, width)


def llama_prefill(config, tokens):
    """Of one sequence, with the logits of its last token."""
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    narrow = width // config["num_attention_heads"] * config["num_key_value_heads"]
    weights = layers * (2 * width * (width + narrow) + 3 * width * config["intermediate_size"])
    return (2 * tokens * weights + 2 * width * config["vocab_size"]) / 1e9 + _attention(layers, tokens, width, True)
