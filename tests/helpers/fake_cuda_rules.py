"""Operations that CUDA treats differently from the others, by their ATen names."""

import torch

aten = torch.ops.aten
ACROSS_DEVICES = {aten._to_copy.default, aten.copy_.default}
INDEXED_BY_CPU = {  # CUDA takes indices from the CPU, which it copies over
    aten.index.Tensor,
    aten.index_put.default,
    aten.index_put_.default,
    aten._index_put_impl_.default,
}
READS = {  # the size of the result, or the result itself, is needed by the host
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.bincount.default,
    aten._unique2.default,
    aten.repeat_interleave.Tensor,
    aten.unique_consecutive.default,
    aten.equal.default,
}
