-- Argo CD health of MailServer and MailAccount (mail.openova.io): one file for both kinds, because both follow kstatus.
-- Installed in argocd-cm by docs/gitops.md. Argo CD runs it with `obj`, the live object, and without Lua's libraries
-- beyond string and table; Lua 5.1.

local function result(status, message)
  return { status = status, message = message }
end

local metadata = obj.metadata or {}
local status = obj.status or {}

if metadata.deletionTimestamp ~= nil then
  return result("Progressing", "Being deleted")
end

local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready

-- A paused object may never be looked at again, so nothing else is waited for.
if (metadata.annotations or {})["mail.openova.io/paused"] == "true" then
  local message = "Paused by annotation mail.openova.io/paused"
  if ready ~= nil and ready.status == "False" then
    message = message .. "; not ready: " .. (ready.message or "")
  end
  if (status.observedGeneration or -1) < (metadata.generation or 0) then
    message = message .. "; the newest spec is not applied"
  end
  return result("Suspended", message)
end

-- What the status says of an older spec is worth nothing. The CRD fills in -1 at creation.
local generation = metadata.generation or 0
if (status.observedGeneration or -1) < generation or ready == nil then
  return result("Progressing", "Waiting for the operator to look at this spec")
end

-- Present only while true. Stalled wins: waiting will not help, whatever else is on its way.
local stalled = conditions.Stalled
if stalled ~= nil and stalled.status == "True" then
  return result("Degraded", (stalled.reason or "Stalled") .. ": " .. (stalled.message or ""))
end

-- A rolling update keeps Ready=True and is on its way, not degraded; so is an outage that may still pass: after its
-- deadline the operator calls it Stalled.
local reconciling = conditions.Reconciling
if reconciling ~= nil and reconciling.status == "True" then
  return result("Progressing", reconciling.message or "Reconciling")
end

-- The operator has looked at this spec, and what it knows of the service is older.
if ready.observedGeneration ~= nil and ready.observedGeneration < generation then
  return result("Progressing", "Waiting for the operator to look at this spec")
end

if ready.status == "True" then
  return result("Healthy", ready.message or "Ready")
end
return result("Progressing", ready.message or "Not ready yet")
