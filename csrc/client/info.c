/* What this machine has, as Maestro sees it. */
#include "client/client.h"

#include "mem/limits.h"
#include "mem/topology.h"

static void number(mst_base_buffer_t *out, const char *key, int64_t value) {
    if (value == INT64_MAX) mst_base_buffer_printf(out, "\"%s\":null,", key);
    else mst_base_buffer_printf(out, "\"%s\":%lld,", key, (long long)value);
}

maestro_status_t maestro_info(char **json_out) {
    mst_base_buffer_t out = {0};
    mst_mem_limits_t limits;
    mst_wire_rendezvous_t rendezvous;
    if (!json_out) return mst_base_fail(MAESTRO_INVALID_ARGUMENT, "info: the output is NULL");
    MST_TRY(mst_mem_limits_read("", &limits));
    MST_TRY(mst_wire_rendezvous_init(&rendezvous, NULL));
    mst_base_buffer_printf(&out, "{\"version\":\"%s\",\"protocol\":%d,\"node\":", maestro_version(), MST_WIRE_PROTOCOL);
    mst_base_buffer_json_string(&out, rendezvous.node, strlen(rendezvous.node));
    mst_base_buffer_printf(&out, ",\"directory\":");
    mst_base_buffer_json_string(&out, rendezvous.directory, strlen(rendezvous.directory));
    mst_base_buffer_printf(&out, ",\"memory\":{");
    number(&out, "cgroup_limit", limits.cgroup_limit);
    number(&out, "cgroup_used", limits.cgroup_used);
    number(&out, "batch_share", limits.batch_share);
    number(&out, "available", limits.available);
    number(&out, "headroom", mst_mem_limits_headroom());
    mst_base_buffer_printf(&out, "\"pool_default\":%lld},\"machine\":", (long long)mst_mem_limits_default(&limits));
    maestro_status_t status = mst_mem_topology_json(&out);
    mst_base_buffer_printf(&out, "}");
    if (status == MAESTRO_OK && out.failed) status = mst_base_fail(MAESTRO_SYSTEM, "info: no memory");
    if (status == MAESTRO_OK) *json_out = out.data;
    else mst_base_buffer_fini(&out);
    return status;
}
