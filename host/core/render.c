/* SPDX-License-Identifier: Apache-2.0 */
#include "core/render.h"

#include <stdint.h>

#include "core/metric_proto.h"
#include "core/openmetrics.h"
#include "core/openmetrics2.h"
#include "core/openmetrics_names.h"
#include "core/text.h"

unsigned render_parts(struct form form, const struct metadata *metadata)
{
	return form.format == FORMAT_TEXT &&
			       metadata->type == METRIC_GAUGEHISTOGRAM
		       ? TEXT_GAUGEHISTOGRAM_PARTS
		       : 1;
}

void render_head(struct buf *out, struct form form,
		 const struct shown_family *family)
{
	switch (form.format) {
	case FORMAT_TEXT: text_show_head(out, form, family); break;
	case FORMAT_OPENMETRICS: openmetrics_head(out, form, family); break;
	case FORMAT_OPENMETRICS2: openmetrics2_head(out, form, family); break;
	case FORMAT_PROTOBUF: metric_proto_head(out, form, family); break;
	}
}

void render_chunk(struct buf *out, struct form form,
		  const struct shown_family *family, const struct chunk *chunk)
{
	switch (form.format) {
	case FORMAT_TEXT: text_show_chunk(out, form, family, chunk); break;
	case FORMAT_OPENMETRICS:
		openmetrics_chunk(out, form, family, chunk);
		break;
	case FORMAT_OPENMETRICS2:
		openmetrics2_chunk(out, form, family, chunk);
		break;
	case FORMAT_PROTOBUF:
		metric_proto_chunk(out, form, family, chunk);
		break;
	}
}

void render_end(struct buf *out, struct form form)
{
	if (form.format == FORMAT_OPENMETRICS ||
	    form.format == FORMAT_OPENMETRICS2)
		buf_addstr(out, "# EOF\n");
}

size_t render_estimate(struct form form, const struct metadata *metadata,
		       const struct chunk *chunk)
{
	switch (form.format) {
	case FORMAT_TEXT:
	case FORMAT_OPENMETRICS: return text_chunk_estimate(metadata, chunk);
	case FORMAT_OPENMETRICS2: return openmetrics2_estimate(metadata, chunk);
	case FORMAT_PROTOBUF: return metric_proto_estimate(metadata, chunk);
	}
	return 0;
}

size_t render_size(struct form form, const struct metadata *metadata,
		   const struct chunk *chunk)
{
	struct shown_family family = { .metadata = metadata };
	struct buf out;
	size_t size;

	if (form.format == FORMAT_PROTOBUF)
		return metric_proto_size(form, metadata, chunk);
	buf_init(&out, SIZE_MAX / 2);
	render_chunk(&out, form, &family, chunk);
	size = out.len;
	buf_release(&out);
	return size;
}

bool render_is_unknown(struct form form, const struct metadata *metadata,
		       const struct metadata *const *all, size_t n)
{
	return form.format == FORMAT_OPENMETRICS &&
	       openmetrics_is_unknown(metadata, all, n);
}
