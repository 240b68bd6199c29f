<#-- Keycloak's own lets people tick whether a new password, app or key ends their other sessions. Here it always does. -->
<#macro logoutOtherSessions>
    <input type="hidden" id="logout-sessions" name="logout-sessions" value="on">
    <p class="${properties.kcFormHelperTextClass!}">${msg("logoutOtherSessions")}</p>
</#macro>
