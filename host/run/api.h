/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /api/v1/exporters: what the landing page shows, as JSON, in the form of
 * Prometheus' API; docs/http.md describes it. In the web thread.
 */
#ifndef RUN_API_H
#define RUN_API_H

#include "run/roster.h"
#include "web/request.h"

void api_exporters(struct request *request, const struct roster *roster);

#endif
