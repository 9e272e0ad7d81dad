-- remind: approvers are reminded.
return {from = {'pending'}}
